# The least that everything is tried on. It goes away when nobody needs it.

module "region" {
  source = "../../modules/region"

  region             = "dev"
  environment        = "dev"
  cidr               = "10.40.0.0/18"
  availability_zones = ["${var.aws_region}a", "${var.aws_region}b"]
  single_nat_gateway = true

  kubernetes_version      = "1.34"
  administrator_role_arns = var.administrator_role_arns
  public_access_cidrs     = var.public_access_cidrs
  node_groups = {
    system   = { instance_types = ["m7i.large"], minimum = 2, maximum = 3, disk_gib = 50 }
    sessions = { instance_types = ["m7i.xlarge"], minimum = 1, maximum = 3 }
  }

  database = {
    instance_class        = "db.t4g.medium"
    storage_gib           = 20
    storage_limit_gib     = 100
    max_connections       = 150
    multi_az              = false
    backup_retention_days = 7
    deletion_protection   = false
  }

  audit_lock_days = 0
  alarm_endpoints = var.alarm_endpoints
}
