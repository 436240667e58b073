# The region us-east-1. Another region is a copy of this folder, with ranges, names and a state of its
# own.

module "region" {
  source = "../../../modules/region"

  region             = "us-east-1"
  environment        = "production"
  cidr               = "10.42.0.0/16"
  availability_zones = ["${var.aws_region}a", "${var.aws_region}b", "${var.aws_region}c"]

  kubernetes_version      = "1.34"
  administrator_role_arns = var.administrator_role_arns
  public_access_cidrs     = var.public_access_cidrs
  node_groups = {
    system   = { instance_types = ["m7i.xlarge", "m7a.xlarge"], minimum = 3, maximum = 9 }
    sessions = { instance_types = ["m7i.4xlarge", "m7a.4xlarge"], minimum = 3, maximum = 60, disk_gib = 200 }
  }

  database = {
    instance_class        = "db.r7g.xlarge"
    storage_gib           = 200
    storage_limit_gib     = 1000
    max_connections       = 400
    backup_retention_days = 35
  }

  audit_lock_days = 365
  alarm_endpoints = var.alarm_endpoints
  keep_metrics    = true
}
