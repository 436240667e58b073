//! Compiles the contract without protoc, and refuses a method without an access
//! policy.

use std::{env, error::Error, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, Value};

const SERVICES: [&str; 19] = [
    "access",
    "alert",
    "approval",
    "audit",
    "bulk",
    "incident",
    "maintenance",
    "notify",
    "oncall",
    "operation",
    "plan",
    "quota",
    "region",
    "session",
    "simulator",
    "slo",
    "tenant",
    "usage",
    "watch",
];

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> =
        SERVICES.iter().map(|s| format!("streamspace/admin/v1/{s}_service.proto")).collect();
    println!("cargo::rerun-if-changed=streamspace");
    println!("cargo::rerun-if-changed=third_party");

    let mut compiler = protox::Compiler::new([".", "third_party"])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    // prost's own descriptor types would drop the policy option; the encoded form keeps it.
    let encoded = compiler.encode_file_descriptor_set();
    require_policies(&DescriptorPool::decode(encoded.as_slice())?)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), &encoded)?;
    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names();
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), messages)?;
    Ok(())
}

/// A method whose policy is absent or half written does not compile.
fn require_policies(pool: &DescriptorPool) -> Result<(), Box<dyn Error>> {
    let option = pool
        .get_extension_by_name("streamspace.admin.v1.policy")
        .ok_or("policy.proto does not define the policy option")?;
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        let options = method.options();
        let value = options.get_extension(&option);
        let policy = value.as_message().ok_or("the policy option is not a message")?;
        for field in ["audience", "scope", "audit_class"] {
            let given = policy.get_field_by_name(field);
            if !matches!(given.as_deref(), Some(Value::EnumNumber(n)) if *n != 0) {
                return Err(format!("{} has no policy.{field}", method.full_name()).into());
            }
        }
    }
    Ok(())
}
