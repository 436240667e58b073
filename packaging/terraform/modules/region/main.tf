# One region of StreamSpace: the other modules put together, and the key that all of it is
# encrypted with. Environments differ in sizes alone.

locals {
  name = "streamspace-${var.region}"
  tags = {
    "stream.space/region"      = var.region
    "stream.space/environment" = var.environment
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Who administers the account administers the key; services use it for this account alone.
data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    sid       = "Logs"
    actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.current.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:*"]
    }
  }

  # Alarms are published to an encrypted topic.
  statement {
    sid       = "Alarms"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  # Nodes have encrypted disks, and a service-linked role starts them.
  statement {
    sid       = "Nodes"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.autoscaling_role]
    }
  }

  statement {
    sid       = "NodesGrants"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.autoscaling_role]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

locals {
  # It is there in every account that has ever had a group of instances.
  autoscaling_role = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
}

resource "aws_kms_key" "this" {
  description             = local.name
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = local.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.this.key_id
}

module "vpc" {
  source = "../vpc"

  name               = local.name
  cidr               = var.cidr
  availability_zones = var.availability_zones
  single_nat_gateway = var.single_nat_gateway
  kms_key_arn        = aws_kms_key.this.arn
  tags               = local.tags
}

module "eks" {
  source = "../eks"

  name                    = local.name
  kubernetes_version      = var.kubernetes_version
  vpc_id                  = module.vpc.vpc_id
  cluster_subnet_ids      = module.vpc.cluster_subnet_ids
  subnet_ids              = module.vpc.private_subnet_ids
  kms_key_arn             = aws_kms_key.this.arn
  administrator_role_arns = var.administrator_role_arns
  public_access_cidrs     = var.public_access_cidrs
  node_groups             = var.node_groups
  tags                    = local.tags
}

module "rds" {
  source = "../rds"

  name                      = local.name
  vpc_id                    = module.vpc.vpc_id
  subnet_ids                = module.vpc.database_subnet_ids
  client_security_group_ids = { nodes = module.eks.node_security_group_id }
  kms_key_arn               = aws_kms_key.this.arn
  instance_class            = var.database.instance_class
  storage_gib               = var.database.storage_gib
  storage_limit_gib         = var.database.storage_limit_gib
  max_connections           = var.database.max_connections
  multi_az                  = var.database.multi_az
  backup_retention_days     = var.database.backup_retention_days
  deletion_protection       = var.database.deletion_protection
  tags                      = local.tags
}

module "redis" {
  source = "../redis"
  count  = var.redis == null ? 0 : 1

  name                      = local.name
  vpc_id                    = module.vpc.vpc_id
  subnet_ids                = module.vpc.database_subnet_ids
  client_security_group_ids = { nodes = module.eks.node_security_group_id }
  kms_key_arn               = aws_kms_key.this.arn
  node_type                 = var.redis.node_type
  replicas                  = var.redis.replicas
  user_group_id             = var.redis.user_group_id
  tags                      = local.tags
}

module "s3" {
  source = "../s3"

  name        = local.name
  kms_key_arn = aws_kms_key.this.arn
  buckets = {
    audit   = { retention_days = 3650, lock_days = var.audit_lock_days }
    backups = { retention_days = 90 }
  }
  writers = {
    audit-export = { namespace = "streamspace-system", account = "audit-export", bucket = "audit" }
    velero       = { namespace = "velero", account = "velero", bucket = "backups" }
  }
  oidc_provider_arn = module.eks.oidc_provider_arn
  oidc_issuer       = module.eks.oidc_issuer
  tags              = local.tags
}

module "monitoring" {
  source = "../monitoring"

  name                     = local.name
  kms_key_arn              = aws_kms_key.this.arn
  database_identifier      = module.rds.identifier
  database_max_connections = var.database.max_connections
  alarm_endpoints          = var.alarm_endpoints
  keep_metrics             = var.keep_metrics
  oidc_provider_arn        = module.eks.oidc_provider_arn
  oidc_issuer              = module.eks.oidc_issuer
  tags                     = local.tags
}
