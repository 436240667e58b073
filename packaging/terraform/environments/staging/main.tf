# As production, in small: what is tried here is how it will be there.

module "region" {
  source = "../../modules/region"

  region             = "staging"
  environment        = "staging"
  cidr               = "10.41.0.0/17"
  availability_zones = ["${var.aws_region}a", "${var.aws_region}b", "${var.aws_region}c"]
  single_nat_gateway = true

  kubernetes_version      = "1.34"
  administrator_role_arns = var.administrator_role_arns
  public_access_cidrs     = var.public_access_cidrs
  node_groups = {
    system   = { instance_types = ["m7i.large"], minimum = 3, maximum = 6 }
    sessions = { instance_types = ["m7i.2xlarge", "m7a.2xlarge"], minimum = 1, maximum = 10 }
  }

  database = {
    instance_class    = "db.m7g.large"
    storage_gib       = 50
    storage_limit_gib = 200
    max_connections   = 200
  }

  audit_lock_days = 30
  alarm_endpoints = var.alarm_endpoints
}
