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

variable "buckets" {
  description = "Buckets by their suffix: how long what is in them is kept, and for how long nobody can delete it."
  type = map(object({
    retention_days = number
    lock_days      = optional(number, 0)
  }))

  validation {
    condition     = alltrue([for bucket in values(var.buckets) : bucket.retention_days >= 1 && bucket.lock_days >= 0 && bucket.retention_days >= bucket.lock_days])
    error_message = "buckets: each needs retention_days of 1 or more, and no less than lock_days."
  }
}

variable "writers" {
  description = "Service accounts that write to a bucket and read it, by a name: namespace, account, and the bucket's suffix."
  type = map(object({
    namespace = string
    account   = string
    bucket    = string
  }))
  default = {}

  validation {
    condition     = alltrue([for writer in values(var.writers) : contains(keys(var.buckets), writer.bucket)])
    error_message = "writers: each bucket must be one of buckets."
  }
}

variable "oidc_provider_arn" {
  description = "The cluster's provider of identities, whom the writers' roles trust."
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
