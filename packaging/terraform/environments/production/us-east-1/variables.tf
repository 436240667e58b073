variable "account_id" {
  description = "The AWS account; nothing is done in another."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: must be 12 digits."
  }
}

variable "aws_region" {
  description = "The region of AWS."
  type        = string
  default     = "us-east-1"
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

variable "alarm_endpoints" {
  description = "Where alarms go, by a name: https URLs."
  type        = map(string)
  default     = {}
}
