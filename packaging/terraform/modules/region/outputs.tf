output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = module.eks.cluster_name
}

output "database_master_secret_arn" {
  description = "The secret with the master's password, for `streamspaced init`."
  value       = module.rds.master_secret_arn
}

output "chart_values" {
  description = "What the chart streamspaced is told of this: `terraform output -json chart_values > values.json`."
  value = {
    region   = var.region
    database = { host = module.rds.host, port = module.rds.port }
    networkPolicy = {
      database = { cidrs = module.vpc.database_subnet_cidrs }
      # By the Service's address and by their own: plugins look before or after one becomes the other.
      apiServer = { cidrs = concat(module.vpc.cluster_subnet_cidrs, [module.eks.service_cidr]), ports = [443] }
      webhook   = { cidrs = module.vpc.cluster_subnet_cidrs }
    }
  }
}

output "writer_role_arns" {
  description = "Roles of who exports and backs up."
  value       = module.s3.writer_role_arns
}

output "bucket_names" {
  description = "Buckets, by their suffix."
  value       = module.s3.bucket_names
}

output "redis_host" {
  description = "The cache, where there is one; else null."
  value       = one(module.redis[*].host)
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = module.monitoring.alarm_topic_arn
}

output "metrics_endpoint" {
  description = "Where metrics are kept, where they are; else null."
  value       = module.monitoring.metrics_endpoint
}

output "nat_addresses" {
  description = "What others see of pods that go out."
  value       = module.vpc.nat_addresses
}
