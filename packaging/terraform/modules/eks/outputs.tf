output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "Where the API server is."
  value       = aws_eks_cluster.this.endpoint
}

output "oidc_provider_arn" {
  description = "Whom roles for service accounts trust."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "The issuer without https://, for the conditions of such roles."
  value       = local.issuer
}

output "node_security_group_id" {
  description = "The group of nodes and of the API server's private addresses."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "client_security_group_id" {
  description = "Members reach the API server."
  value       = aws_security_group.clients.id
}

output "service_cidr" {
  description = "The range of Services, the API server's among them."
  value       = aws_eks_cluster.this.kubernetes_network_config[0].service_ipv4_cidr
}
