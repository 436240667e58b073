variable "region" {
  description = "The region of StreamSpace, for example us-east-1; the chart's region. It need not be one of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,26}[a-z0-9]$", var.region))
    error_message = "region: must be 3 to 28 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "environment" {
  description = "dev, staging or production."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment: must be dev, staging or production."
  }
}

variable "cidr" {
  description = "The range of the network, a private one of IPv4 between /16 and /20."
  type        = string
}

variable "availability_zones" {
  description = "The zones, two or three."
  type        = list(string)
}

variable "single_nat_gateway" {
  description = "Whether all zones go out by one gateway."
  type        = bool
  default     = false
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes."
  type        = string
}

variable "administrator_role_arns" {
  description = "IAM roles that administer the cluster."
  type        = list(string)
}

variable "public_access_cidrs" {
  description = "Who reaches the API server from outside. Empty: nobody."
  type        = list(string)
  default     = []
}

variable "node_groups" {
  description = "Groups of nodes, by name."
  type = map(object({
    instance_types = list(string)
    minimum        = number
    maximum        = number
    disk_gib       = optional(number, 100)
    labels         = optional(map(string), {})
    taint          = optional(object({ key = string, value = string }))
  }))
}

variable "database" {
  description = "What the database runs on, how large it is, and whether another zone holds a standby."
  type = object({
    instance_class        = string
    storage_gib           = number
    storage_limit_gib     = number
    max_connections       = number
    multi_az              = optional(bool, true)
    backup_retention_days = optional(number, 14)
    deletion_protection   = optional(bool, true)
  })
}

variable "redis" {
  description = "A cache for what else runs in the region; null: none, as the control plane uses none."
  type = object({
    node_type     = string
    replicas      = number
    user_group_id = string
  })
  default = null
}

variable "audit_lock_days" {
  description = "For how long nobody can delete an export of the audit log."
  type        = number
  default     = 365

  validation {
    condition     = var.audit_lock_days >= 0 && var.audit_lock_days <= 3650
    error_message = "audit_lock_days: must be 0 to 3650."
  }
}

variable "alarm_endpoints" {
  description = "Where alarms go, by a name: https URLs."
  type        = map(string)
  default     = {}
}

variable "keep_metrics" {
  description = "Whether there is a workspace of Amazon's Prometheus."
  type        = bool
  default     = false
}
