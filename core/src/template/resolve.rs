//! Which template a session is made of: the tenant's own, else the catalogue's.

use thiserror::Error;

use crate::{session::TemplateName, suggest};

/// Where a template was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// In the tenant's namespace.
    Tenant,
    /// In the catalogue's namespace.
    Catalogue,
}

/// What stands in a namespace under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a, T> {
    /// Nothing.
    Absent,
    /// A template that is not valid, with the line that says why.
    Invalid(&'a str),
    /// A valid one.
    Valid(&'a T),
}

/// Why a session has no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// There is none of the name.
    #[error("there is no template `{name}` in the tenant or in the catalogue: {remedy}")]
    NotFound {
        /// The name.
        name: TemplateName,
        /// What to do.
        remedy: String,
    },
    /// The tenant's own is not valid. The catalogue's is not used in its place: its
    /// author would go on to believe that the own one is.
    #[error("the tenant's own template `{name}` is not valid: {fault}; {remedy}")]
    TenantInvalid {
        /// The name.
        name: TemplateName,
        /// The line that says what is wrong.
        fault: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The catalogue's is not valid.
    #[error(
        "the catalogue's template `{name}` is not valid: {fault}; an operator must correct it, or \
         make a template of this name in the tenant's own namespace"
    )]
    CatalogueInvalid {
        /// The name.
        name: TemplateName,
        /// The line that says what is wrong.
        fault: String,
    },
}

impl ResolveError {
    /// One word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "TemplateNotFound",
            Self::TenantInvalid { .. } | Self::CatalogueInvalid { .. } => "TemplateInvalid",
        }
    }
}

/// Finds a session's template. `known` are the names that there are, from which a slip of
/// the fingers is told.
pub fn resolve<'a, T, S: AsRef<str>>(
    name: &TemplateName,
    tenant: Found<'a, T>,
    catalogue: Found<'a, T>,
    known: impl IntoIterator<Item = S>,
) -> Result<(Source, &'a T), ResolveError> {
    match (tenant, catalogue) {
        (Found::Valid(template), _) => Ok((Source::Tenant, template)),
        (Found::Invalid(fault), catalogue) => Err(ResolveError::TenantInvalid {
            name: name.clone(),
            fault: fault.to_owned(),
            remedy: if matches!(catalogue, Found::Valid(_)) {
                "correct it, or delete it to use the catalogue's of the same name"
            } else {
                "correct it"
            },
        }),
        (Found::Absent, Found::Valid(template)) => Ok((Source::Catalogue, template)),
        (Found::Absent, Found::Invalid(fault)) => {
            Err(ResolveError::CatalogueInvalid { name: name.clone(), fault: fault.to_owned() })
        }
        (Found::Absent, Found::Absent) => {
            let remedy = match suggest::nearest(name.as_str(), known) {
                Some(meant) => format!("`{}` was meant, perhaps", meant.as_ref()),
                None => "`kubectl get templates` shows the tenant's own".to_owned(),
            };
            Err(ResolveError::NotFound { name: name.clone(), remedy })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Found::{Absent, Invalid, Valid};

    #[test]
    fn the_tenants_own_comes_first_and_is_not_passed_over() {
        let name = TemplateName::parse("firefox").unwrap();
        let (own, common) = (1, 2);
        let of = |tenant, catalogue| resolve(&name, tenant, catalogue, ["firefix", "gimp"]);
        let told = |tenant, catalogue| of(tenant, catalogue).unwrap_err();
        assert_eq!(of(Valid(&own), Valid(&common)), Ok((Source::Tenant, &1)));
        assert_eq!(of(Valid(&own), Invalid("x")), Ok((Source::Tenant, &1)));
        assert_eq!(of(Absent, Valid(&common)), Ok((Source::Catalogue, &2)));
        let invalid = told(Invalid("spec.baseImage: is empty"), Valid(&common));
        assert_eq!(
            invalid.to_string(),
            "the tenant's own template `firefox` is not valid: spec.baseImage: is empty; correct \
             it, or delete it to use the catalogue's of the same name"
        );
        assert_eq!(invalid.reason(), "TemplateInvalid");
        for catalogue in [Absent, Invalid("y")] {
            let told = told(Invalid("x"), catalogue).to_string();
            assert!(told.ends_with("not valid: x; correct it"), "{told}");
        }
        assert_eq!(told(Absent, Invalid("x")).reason(), "TemplateInvalid");
        let absent = told(Absent, Absent);
        assert_eq!(absent.reason(), "TemplateNotFound");
        assert_eq!(
            absent.to_string(),
            "there is no template `firefox` in the tenant or in the catalogue: `firefix` was \
             meant, perhaps"
        );
        let none = resolve::<i32, &str>(&name, Absent, Absent, []).unwrap_err();
        assert!(none.to_string().ends_with("`kubectl get templates` shows the tenant's own"));
    }
}
