# Buckets for exports of the audit log and backups: private, encrypted, versioned, over TLS alone.

data "aws_caller_identity" "current" {}

locals {
  names  = { for suffix, _ in var.buckets : suffix => "${var.name}-${data.aws_caller_identity.current.account_id}-${suffix}" }
  locked = { for suffix, bucket in var.buckets : suffix => bucket.lock_days if bucket.lock_days > 0 }
}

resource "aws_s3_bucket" "this" {
  for_each = var.buckets

  bucket              = local.names[each.key]
  object_lock_enabled = each.value.lock_days > 0
  force_destroy       = false
  tags                = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = var.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = var.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = var.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = var.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "retention"
    status = "Enabled"

    filter {}

    expiration {
      days = each.value.retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = max(30, each.value.lock_days)
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

# Nobody deletes or changes it within its time, also no administrator of the account.
resource "aws_s3_bucket_object_lock_configuration" "this" {
  for_each = local.locked

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = each.value
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

data "aws_iam_policy_document" "bucket" {
  for_each = var.buckets

  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = var.buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.this]
}

data "aws_iam_policy_document" "writer_trust" {
  for_each = var.writers

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${each.value.namespace}:${each.value.account}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

# It writes and reads; it deletes nothing.
data "aws_iam_policy_document" "writer" {
  for_each = var.writers

  statement {
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this[each.value.bucket].arn]
  }

  statement {
    actions   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this[each.value.bucket].arn}/*"]
  }

  statement {
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role" "writer" {
  for_each = var.writers

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.writer_trust[each.key].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "writer" {
  for_each = var.writers

  name   = "write"
  role   = aws_iam_role.writer[each.key].id
  policy = data.aws_iam_policy_document.writer[each.key].json
}
