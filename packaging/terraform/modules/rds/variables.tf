variable "name" {
  description = "What everything is called."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,38}[a-z0-9]$", var.name))
    error_message = "name: must be 3 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kms_key_arn" {
  description = "The key that the disk, backups, insights and the master's password are encrypted with."
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
  description = "Whose members reach the database, by name."
  type        = map(string)

  validation {
    condition     = length(var.client_security_group_ids) > 0
    error_message = "client_security_group_ids: name at least one, or nobody reaches it."
  }
}

variable "engine_version" {
  description = "PostgreSQL 15, with or without its minor version."
  type        = string
  default     = "15"

  validation {
    condition     = can(regex("^15(\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version: must be 15 or 15.MINOR; the parameters are those of PostgreSQL 15."
  }
}

variable "instance_class" {
  description = "What the database runs on."
  type        = string

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class: must be like db.m7g.large."
  }
}

variable "storage_gib" {
  description = "The disk to begin with."
  type        = number
  default     = 100

  validation {
    condition     = var.storage_gib >= 20 && var.storage_gib <= 65536
    error_message = "storage_gib: must be 20 to 65536."
  }
}

variable "storage_limit_gib" {
  description = "How far the disk grows by itself."
  type        = number
  default     = 500

  validation {
    condition     = var.storage_limit_gib >= 22
    error_message = "storage_limit_gib: must be larger than storage_gib by a tenth at least."
  }
}

variable "multi_az" {
  description = "Whether another zone holds a standby that takes over within a minute or two."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "For how many days the database can be brought back to any second."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "backup_retention_days: must be 7 to 35."
  }
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted."
  type        = bool
  default     = true
}

variable "max_connections" {
  description = "The most connections. A replica of the daemon takes 2.5 times database.maxConnections and up to ten more."
  type        = number
  default     = 200

  validation {
    condition     = var.max_connections >= 50 && var.max_connections <= 5000
    error_message = "max_connections: must be 50 to 5000."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
