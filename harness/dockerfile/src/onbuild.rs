//! ONBUILD: the trigger is kept as text, as the image records it, and read again when it fires.

use crate::ast::{Instruction, OnbuildInstruction};
use crate::error::{Class, Fault, SyntaxError};
use crate::parse;
use crate::raw::Args;
use crate::typed::Form;

pub(crate) fn read(form: &mut Form<'_>) -> Result<OnbuildInstruction, Fault> {
    let Args::Trigger(Some(trigger)) = std::mem::replace(&mut form.node.args, Args::Ignored) else {
        return Err(form.at_least_one("INSTRUCTION"));
    };
    form.flags()?;
    let keyword = trigger.keyword.text.to_uppercase();
    let says = match keyword.as_str() {
        "ONBUILD" => Some("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "MAINTAINER" | "FROM" => Some(format!("{keyword} isn't allowed as an ONBUILD trigger")),
        _ => None,
    };
    if let Some(says) = says {
        let message = format!(
            "trigger {keyword} with ONBUILD; anything but FROM, MAINTAINER and ONBUILD may follow it"
        );
        return Err(Fault::new(Class::BadOnbuild, trigger.keyword.span, message).says(says));
    }
    let mut expression = form.node.original[form.node.keyword.text.len()..].trim_start().to_owned();
    for heredoc in &form.node.heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.body);
        expression.push_str(&heredoc.name);
    }
    let trigger: Result<Instruction, SyntaxError> = parse::trigger(&expression, form.syntax);
    Ok(OnbuildInstruction { trigger: trigger.map(Box::new).map_err(Box::new), expression, keyword })
}
