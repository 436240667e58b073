//! A row of a tenant in every table with a tenant key. `$1` is the tenant, `$2` its name;
//! the ids of rows are the tenant's own uid, so that an attack can name them.

/// What inserts them, in an order that foreign keys allow.
pub(super) const ROWS: [&str; 26] = [
    "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
         VALUES ($1, $1, 'create', 'tenants/' || $2, $2)",
    "INSERT INTO tenant_subscription (subscription_id, tenant_uid, plan_id, plan_version, seats, actor)
         VALUES ($1, $1, 'free', 1, 1, $2)",
    "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
         VALUES ($1, 'tenant', 'created', 'tenants/' || $2, $2, convert_to($2, 'UTF8'))",
    "INSERT INTO requests (request_id, actor, method, request_sha256, response, scope)
         VALUES ($1, $2, 'method', '', convert_to($2, 'UTF8'), ARRAY[$1])",
    "INSERT INTO quota_overrides (tenant_uid, override_id, resource, amount, reason, actor)
         VALUES ($1, $1, 'pods', 1, $2, $2)",
    "INSERT INTO approvals (tenant_uid, approval_id, method, request_sha256, target, summary,
                            reason, least_role, requester, expire_time)
         VALUES ($1, $1, 'method', '', 'tenants/' || $2, '', '', 'admin', $2, now())",
    "INSERT INTO bulk_operations (operation_id, kind, target, request, reason, actor, role, serial)
         VALUES ($1, 'tenant.cordon', 'tenants/-', '', $2, $2, '', '')",
    "INSERT INTO bulk_items (tenant_uid, operation_id, ordinal, target)
         VALUES ($1, $1, 1, 'tenants/' || $2)",
    "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, user_name, template,
                          state, phase, deleting, pods, cpu, cpu_limit, memory, memory_limit, create_time,
                          resource)
         VALUES ($1, $2, $1, 1, 1, $2, $2, 'running', 'Running', false, 1, 1, 1, 1, 1, now(),
                 convert_to($2, 'UTF8'))",
    "INSERT INTO session_reservations (tenant_uid, name, session_uid, user_name, generation, pods, cpu,
                                      cpu_limit, memory, memory_limit, expire_time)
         VALUES ($1, $2, $1, $2, 1, 1, 1, 1, 1, 1, now())",
    "INSERT INTO templates (tenant_uid, name, template_uid, resource_version, resource)
         VALUES ($1, $2, $1, 1, convert_to($2, 'UTF8'))",
    "INSERT INTO usage_subjects (tenant_uid, subject_uid, kind, name, user_name, template, cluster)
         VALUES ($1, $1, 'session', $2, $2, $2, '')",
    "INSERT INTO usage_transitions (tenant_uid, subject_uid, position, at, phase, cpu_millicores,
                                   memory_bytes, home_bytes, cause)
         VALUES ($1, $1, 1, 0, 'Running', 1, 1, 1, $2)",
    "INSERT INTO usage_late (tenant_uid, subject_uid, from_second, to_second)
         SELECT $1, $1, 0, length($2)",
    "INSERT INTO usage_intervals (tenant_uid, subject_uid, bucket_time, cpu_millicore_seconds,
                                 memory_byte_seconds, storage_byte_seconds, session_seconds,
                                 sessions_started, measured_seconds, estimated_seconds,
                                 unbilled_seconds, doubts)
         VALUES ($1, $1, '2026-11-02 10:00Z', 1, 1, 1, 1, 1, 1, 0, 0, $2)",
    "INSERT INTO usage_corrections (tenant_uid, subject_uid, bucket_time, number, cpu_millicore_seconds,
                                   memory_byte_seconds, storage_byte_seconds, session_seconds,
                                   sessions_started, measured_seconds, estimated_seconds,
                                   unbilled_seconds, doubts)
         VALUES ($1, $1, '2026-11-02 10:00Z', 1, 1, 1, 1, 1, 1, 1, 0, 0, $2)",
    "INSERT INTO usage_dirty (tenant_uid, hour_time)
         SELECT $1, '2026-11-02 10:00Z' WHERE $2 <> ''",
    "INSERT INTO usage_hours (tenant_uid, hour_time, user_name, template, cpu_millicore_seconds,
                             memory_byte_seconds, storage_byte_seconds, session_seconds,
                             sessions_started, measured_seconds, estimated_seconds, unbilled_seconds)
         VALUES ($1, '2026-11-02 10:00Z', $2, $2, 1, 1, 1, 1, 1, 1, 0, 0)",
    "INSERT INTO usage_days (tenant_uid, day, user_name, template, cpu_millicore_seconds,
                            memory_byte_seconds, storage_byte_seconds, session_seconds,
                            sessions_started, measured_seconds, estimated_seconds, unbilled_seconds)
         VALUES ($1, '2026-11-02', $2, $2, 1, 1, 1, 1, 1, 1, 0, 0)",
    "INSERT INTO usage_actual (tenant_uid, hour_time, cpu_millicore_seconds, cpu_covered_seconds)
         SELECT $1, '2026-11-02 10:00Z', 1, 1 WHERE $2 <> ''",
    "INSERT INTO usage_actual_series (tenant_uid, metric, series, at, container_start, value)
         VALUES ($1, 'egress', $2, 0, 0, 1)",
    "INSERT INTO slo_hours (tenant_uid, slo_uid, hour, before_total, before_bad, before_measured,
                           before_excluded, minutes)
         SELECT $1, $1, 1, 1, 0, 1, 0, '' WHERE $2 <> ''",
    "INSERT INTO slo_budgets (tenant_uid, slo_uid, objective, first_minute, known_minute)
         SELECT $1, $1, 999000000, 1, 1 WHERE $2 <> ''",
    "INSERT INTO slo_counts (tenant_uid, source_uid, counter, minute, total, bad)
         VALUES ($1, $1, $2, 1, 1, 0)",
    "INSERT INTO slo_pushed (tenant_uid, slo_uid, minute, total, bad)
         SELECT $1, $1, 1, 1, 0 WHERE $2 <> ''",
    "INSERT INTO alerts (tenant_uid, alert_uid, kind, rule, subject, severity, summary, start_time)
         VALUES ($1, $1, 'SloBurn', 'burn-1h', $2, 'page', $2, now())",
];
