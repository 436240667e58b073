output "bucket_names" {
  description = "Buckets, by their suffix."
  value       = { for suffix, bucket in aws_s3_bucket.this : suffix => bucket.bucket }
}

output "writer_role_arns" {
  description = "Roles of the writers, for the annotation eks.amazonaws.com/role-arn of their accounts."
  value       = { for name, role in aws_iam_role.writer : name => role.arn }
}
