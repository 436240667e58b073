//! The check sees a partition that could be reached past the policies of its table.

use super::catalogue::faults_after;

/// A table by days with every part of its isolation, and one partition.
const PARTITIONED: [&str; 9] = [
    "CREATE TABLE spans (tenant_uid uuid NOT NULL, region_term bigint NOT NULL DEFAULT 1, day date NOT NULL,
                         PRIMARY KEY (tenant_uid, day)) PARTITION BY RANGE (day)",
    "ALTER TABLE spans ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE spans FORCE ROW LEVEL SECURITY",
    "CREATE POLICY owner ON spans TO streamspace_owner USING (true) WITH CHECK (true)",
    "CREATE POLICY operator ON spans TO streamspace_operator USING (true) WITH CHECK (true)",
    "CREATE POLICY tenant ON spans TO streamspace_tenant
         USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
         WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))",
    "CREATE POLICY scope ON spans AS RESTRICTIVE TO streamspace_tenant
         USING (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))
         WITH CHECK (tenant_uid = ANY ((SELECT streamspace_scope())::uuid[]))",
    "GRANT SELECT, INSERT ON spans TO streamspace_operator, streamspace_tenant",
    "CREATE TABLE spans_may PARTITION OF spans FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
     ALTER TABLE spans_may ENABLE ROW LEVEL SECURITY; ALTER TABLE spans_may FORCE ROW LEVEL SECURITY",
];

#[tokio::test]
async fn a_partition_has_no_rights_and_row_security() {
    let scope = "tenant_uid = ANY ((SELECT streamspace_scope())::uuid[])";
    let same_policy = format!(
        "CREATE POLICY tenant ON spans_may TO streamspace_tenant USING ({scope}) WITH CHECK ({scope})"
    );
    let further = "CREATE TABLE spans_june PARTITION OF spans FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')";
    let by_parts =
        "CREATE TABLE spans_rest PARTITION OF spans DEFAULT PARTITION BY LIST (tenant_uid);
                    ALTER TABLE spans_rest ENABLE ROW LEVEL SECURITY";
    for (change, expected) in [
        ("SELECT 1", ""),
        (same_policy.as_str(), ""),
        (further, "spans_june: row-level security is not enabled"),
        (by_parts, "spans_rest: row-level security is not forced"),
        (
            "GRANT SELECT ON spans_may TO streamspace_operator",
            "spans_may: streamspace_operator has rights on the partition itself",
        ),
        (
            "GRANT SELECT (day) ON spans_may TO streamspace_tenant",
            "spans_may: streamspace_tenant has rights",
        ),
        (
            "GRANT SELECT ON spans_may TO PUBLIC",
            "spans_may: PUBLIC has rights on the partition itself",
        ),
        (
            "ALTER TABLE spans_may DISABLE ROW LEVEL SECURITY",
            "spans_may: row-level security is not enabled",
        ),
        (
            "CREATE POLICY wide ON spans_may TO streamspace_operator USING (true)",
            "spans_may: the policy wide is not one of the partitioned table",
        ),
        (
            "CREATE POLICY tenant ON spans_may TO streamspace_tenant USING (true) WITH CHECK (true)",
            "spans_may: the policy tenant is not one of the partitioned table",
        ),
        ("DROP POLICY scope ON spans", "spans: no restrictive policy for streamspace_tenant"),
        // A part that goes its own way is a table like any other.
        (
            "ALTER TABLE spans DETACH PARTITION spans_may",
            "spans_may: no restrictive policy for streamspace_tenant",
        ),
        (
            "CREATE UNIQUE INDEX days ON spans (day, tenant_uid)",
            "spans: the unique key days does not start",
        ),
    ] {
        let mut statements = PARTITIONED.to_vec();
        statements.push(change);
        let found = faults_after(&statements).await;
        let right = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
        assert!(right, "{change}:\n{found}");
    }
}
