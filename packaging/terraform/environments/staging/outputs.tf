output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = module.region.cluster_name
}

output "chart_values" {
  description = "What the chart streamspaced is told of this."
  value       = module.region.chart_values
}

output "database_master_secret_arn" {
  description = "The secret with the master's password, for `streamspaced init`."
  value       = module.region.database_master_secret_arn
}

output "writer_role_arns" {
  description = "Roles of who exports and backs up."
  value       = module.region.writer_role_arns
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = module.region.alarm_topic_arn
}
