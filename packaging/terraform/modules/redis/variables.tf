variable "name" {
  description = "What everything is called."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,38}[a-z0-9]$", var.name))
    error_message = "name: must be 3 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kms_key_arn" {
  description = "The key that what is kept is encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a KMS key."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets without a way out, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: name subnets in two zones at least."
  }
}

variable "client_security_group_ids" {
  description = "Whose members reach it, by name."
  type        = map(string)
}

variable "node_type" {
  description = "What it runs on."
  type        = string
  default     = "cache.t4g.small"

  validation {
    condition     = can(regex("^cache\\.[a-z0-9]+\\.[a-z0-9]+$", var.node_type))
    error_message = "node_type: must be like cache.t4g.small."
  }
}

variable "replicas" {
  description = "Replicas beside the primary. With one or more, another zone takes over."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas: must be 0 to 5."
  }
}

variable "user_group_id" {
  description = "The group of ElastiCache users who may log in. Who is in none cannot."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{0,39}$", var.user_group_id))
    error_message = "user_group_id: must be the id of a group, 1 to 40 lower-case letters, digits and hyphens."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
