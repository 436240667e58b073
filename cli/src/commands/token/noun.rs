//! What is shown of an enrolment token.

use jiff::Timestamp;
use streamspace_proto::v1::{EnrolmentToken, EnrolmentTokenState};

use crate::{
    commands::whoami::{reach, role_word},
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::local,
};

impl Noun for EnrolmentToken {
    const PLURAL: &'static str = "tokens";
    const PREFIX: &'static str = "tokens/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |token: &Self, _| short(Self::PREFIX, &token.name).into()),
            Column::new("OPERATOR", |token, _| token.operator.clone().into()),
            Column::new("ROLE", |token, _| role_word(token.role).into()),
            Column::new("STATE", |token, _| state(token)),
            Column::new("ENDS", |token, _| local(token.expire_time.as_ref()).into()),
            Column::new("MADE BY", |token, _| token.creator.clone().into()),
            Column::wide("MADE", |token, _| local(token.create_time.as_ref()).into()),
            Column::wide("REACH", |token, _| reach(&token.tenants).into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Operator", self.operator.clone().into()),
            ("Role", role_word(self.role).into()),
            ("Reach", reach(&self.tenants).into()),
            ("State", state(self)),
            ("Ends", local(self.expire_time.as_ref()).into()),
            ("Made by", self.creator.clone().into()),
            ("Made", local(self.create_time.as_ref()).into()),
        ]
    }
}

fn state(token: &EnrolmentToken) -> Cell {
    let tone = match token.state() {
        EnrolmentTokenState::Usable => Tone::Good,
        EnrolmentTokenState::Revoked => Tone::Bad,
        EnrolmentTokenState::Used
        | EnrolmentTokenState::Expired
        | EnrolmentTokenState::Unspecified => Tone::Plain,
    };
    Cell::toned(word("ENROLMENT_TOKEN_STATE_", token.state().as_str_name()), tone)
}
