output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Its range."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "For balancers."
  value       = [for subnet in aws_subnet.public : subnet.id]
}

output "private_subnet_ids" {
  description = "For nodes."
  value       = [for subnet in aws_subnet.private : subnet.id]
}

output "cluster_subnet_ids" {
  description = "For the addresses of API servers: without a way out."
  value       = [for subnet in aws_subnet.cluster : subnet.id]
}

output "cluster_subnet_cidrs" {
  description = "Ranges of API servers, for network policies."
  value       = [for subnet in aws_subnet.cluster : subnet.cidr_block]
}

output "database_subnet_ids" {
  description = "For databases: without a way out."
  value       = [for subnet in aws_subnet.database : subnet.id]
}

output "database_subnet_cidrs" {
  description = "Ranges of databases, for network policies."
  value       = [for subnet in aws_subnet.database : subnet.cidr_block]
}

output "nat_addresses" {
  description = "What others see of pods that go out."
  value       = [for address in aws_eip.nat : address.public_ip]
}
