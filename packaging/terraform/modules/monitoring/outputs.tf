output "alarm_topic_arn" {
  description = "Where alarms go, for alarms of your own."
  value       = aws_sns_topic.alarms.arn
}

output "metrics_endpoint" {
  description = "Where the cluster's Prometheus writes to, where metrics are kept; else null."
  value       = one(aws_prometheus_workspace.this[*].prometheus_endpoint)
}

output "metrics_writer_role_arn" {
  description = "The role of that Prometheus, for the annotation of its account; else null."
  value       = one(aws_iam_role.metrics[*].arn)
}
