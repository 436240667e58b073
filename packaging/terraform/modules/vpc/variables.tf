variable "name" {
  description = "What everything is called, for example streamspace-us-east-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,38}[a-z0-9]$", var.name))
    error_message = "name: must be 3 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "cidr" {
  description = "The range of the network, a private one of IPv4 between /16 and /20."
  type        = string

  validation {
    condition = (
      can(cidrhost(var.cidr, 0)) &&
      can(regex("/(16|17|18|19|20)$", var.cidr)) &&
      can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
    )
    error_message = "cidr: must be a private range of IPv4 between /16 and /20, for example 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "The zones, two or three."
  type        = list(string)

  validation {
    condition     = contains([2, 3], length(distinct(var.availability_zones)))
    error_message = "availability_zones: name two or three different zones."
  }
}

variable "single_nat_gateway" {
  description = "Whether all zones go out by one gateway: cheaper, and none goes out when its zone is away."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "The key that flow logs are encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a KMS key."
  }
}

variable "flow_log_retention_days" {
  description = "For how many days flow logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 365, 400], var.flow_log_retention_days)
    error_message = "flow_log_retention_days: CloudWatch keeps for 30, 60, 90, 120, 180, 365 or 400 days."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
