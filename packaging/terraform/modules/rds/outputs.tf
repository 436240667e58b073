output "host" {
  description = "For the chart's database.host."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "For the chart's database.port."
  value       = aws_db_instance.this.port
}

output "identifier" {
  description = "The instance, for alarms."
  value       = aws_db_instance.this.identifier
}

output "master_secret_arn" {
  description = "The secret of Secrets Manager with the master's password, for `streamspaced init`."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}
