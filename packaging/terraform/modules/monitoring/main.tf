# What a Prometheus in the cluster does not see: the database from outside. The alerts of the daemon
# itself are in packaging/alerts, and the chart makes them.

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

data "aws_iam_policy_document" "alarms" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

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
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarm_endpoints

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "https"
  endpoint  = each.value
}

locals {
  gib = 1024 * 1024 * 1024
  database_alarms = {
    cpu = {
      metric = "CPUUtilization", statistic = "Average", above = true, threshold = 85, minutes = 15
      about  = "The database's CPU is over 85 % for a quarter of an hour."
    }
    connections = {
      metric = "DatabaseConnections", statistic = "Maximum", above = true, threshold = floor(var.database_max_connections * 0.9), minutes = 5
      about  = "Nine tenths of the database's connections are in use."
    }
    storage = {
      metric = "FreeStorageSpace", statistic = "Minimum", above = false, threshold = var.database_storage_free_gib * local.gib, minutes = 5
      about  = "The database's disk is nearly full, and does not grow fast enough by itself."
    }
    memory = {
      metric = "FreeableMemory", statistic = "Minimum", above = false, threshold = local.gib / 4, minutes = 15
      about  = "The database has less than 256 MiB of memory left."
    }
    transactions = {
      metric = "MaximumUsedTransactionIDs", statistic = "Maximum", above = true, threshold = 1000000000, minutes = 60
      about  = "The database is on its way to stop taking writes: autovacuum does not keep up."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "database" {
  for_each = local.database_alarms

  alarm_name          = "${var.name}-database-${each.key}"
  alarm_description   = each.value.about
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = var.database_identifier }
  statistic           = each.value.statistic
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  # A database that says nothing is not well.
  treat_missing_data = "breaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
  tags               = var.tags
}

resource "aws_prometheus_workspace" "this" {
  count = var.keep_metrics ? 1 : 0

  alias       = var.name
  kms_key_arn = var.kms_key_arn
  tags        = var.tags
}

data "aws_iam_policy_document" "metrics_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${var.metrics_writer.namespace}:${var.metrics_writer.account}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "metrics" {
  count = var.keep_metrics ? 1 : 0

  name               = "${var.name}-metrics"
  assume_role_policy = data.aws_iam_policy_document.metrics_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "metrics" {
  count = var.keep_metrics ? 1 : 0

  name = "write"
  role = aws_iam_role.metrics[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["aps:RemoteWrite"]
      Resource = [aws_prometheus_workspace.this[0].arn]
    }]
  })
}
