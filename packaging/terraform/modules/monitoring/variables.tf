variable "name" {
  description = "What everything is called."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,38}[a-z0-9]$", var.name))
    error_message = "name: must be 3 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kms_key_arn" {
  description = "The key that alarms on their way are encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a KMS key."
  }
}

variable "database_identifier" {
  description = "The instance of RDS that is watched."
  type        = string
}

variable "database_max_connections" {
  description = "The most connections that it takes; nine tenths of them raise an alarm."
  type        = number

  validation {
    condition     = var.database_max_connections >= 50
    error_message = "database_max_connections: must be 50 or more."
  }
}

variable "database_storage_free_gib" {
  description = "How much of its disk must be free."
  type        = number
  default     = 20

  validation {
    condition     = var.database_storage_free_gib >= 5
    error_message = "database_storage_free_gib: must be 5 or more."
  }
}

variable "alarm_endpoints" {
  description = "Where alarms go, by a name: URLs that take HTTPS by SNS, for example of PagerDuty. They must confirm once."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for url in values(var.alarm_endpoints) : startswith(url, "https://")])
    error_message = "alarm_endpoints: must be https URLs."
  }
}

variable "keep_metrics" {
  description = "Whether there is a workspace of Amazon's Prometheus that the cluster's own writes to, for what must outlive it."
  type        = bool
  default     = false
}

variable "metrics_writer" {
  description = "The service account of that Prometheus."
  type = object({
    namespace = string
    account   = string
  })
  default = { namespace = "monitoring", account = "prometheus" }
}

variable "oidc_provider_arn" {
  description = "The cluster's provider of identities, whom the writer's role trusts."
  type        = string
}

variable "oidc_issuer" {
  description = "Its issuer without https://."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
