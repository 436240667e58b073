output "host" {
  description = "Where it is."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Its port, over TLS alone."
  value       = 6379
}
