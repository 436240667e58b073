variable "name" {
  description = "What the cluster is called."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,38}[a-z0-9]$", var.name))
    error_message = "name: must be 3 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes. The control plane needs 1.30 or newer."
  type        = string

  validation {
    condition     = can(regex("^1\\.(3[0-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version: must be 1.30 or newer, written like 1.34."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "cluster_subnet_ids" {
  description = "Subnets for the API server's addresses alone, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(distinct(var.cluster_subnet_ids)) >= 2
    error_message = "cluster_subnet_ids: name subnets in two zones at least."
  }
}

variable "subnet_ids" {
  description = "Private subnets for nodes and pods, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: name subnets in two zones at least."
  }
}

variable "kms_key_arn" {
  description = "The key that Secrets, logs and disks are encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a KMS key."
  }
}

variable "public_access_cidrs" {
  description = "Who reaches the API server from outside. Empty: nobody, it has no public address."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.public_access_cidrs : can(cidrhost(range, 0)) && range != "0.0.0.0/0"])
    error_message = "public_access_cidrs: must be ranges of IPv4, and not the whole internet."
  }
}

variable "administrator_role_arns" {
  description = "IAM roles that administer the cluster. Nobody else does, nor who made it."
  type        = list(string)

  validation {
    condition     = length(var.administrator_role_arns) > 0 && alltrue([for arn in var.administrator_role_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/", arn))])
    error_message = "administrator_role_arns: name at least one ARN of an IAM role."
  }
}

variable "node_groups" {
  description = "Groups of nodes, by name: what they are, how many, and the taint that keeps others away."
  type = map(object({
    instance_types = list(string)
    minimum        = number
    maximum        = number
    disk_gib       = optional(number, 100)
    labels         = optional(map(string), {})
    taint          = optional(object({ key = string, value = string }))
  }))

  validation {
    condition     = length(var.node_groups) > 0 && alltrue([for group in values(var.node_groups) : group.minimum >= 1 && group.maximum >= group.minimum && group.disk_gib >= 20])
    error_message = "node_groups: each needs 1 <= minimum <= maximum and 20 GiB of disk at least."
  }
}

variable "log_retention_days" {
  description = "For how many days logs of the API server are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch keeps for 30, 60, 90, 120, 180, 365 or 400 days."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
