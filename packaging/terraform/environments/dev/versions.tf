terraform {
  required_version = ">= 1.11"

  # The state is in a bucket of the account, encrypted and versioned, with a lock beside it. Its names
  # come from backend.hcl: see docs/how-to/terraform.md.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { "managed-by" = "terraform" }
  }
}
