//! The files of the program, in the place that they expect.
#[path = "../../../crates/mflow/src/cli/serve/question.rs"]
pub(super) mod question;
#[path = "../../../crates/mflow/src/cli/serve/refusal.rs"]
pub(super) mod refusal;

pub(super) mod task {
    //! What may be asked.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Task {
        Score,
        Encode,
        Project,
        Decode,
        Sample,
    }
}

use super::model::Opened;
use question::Question;
use task::Task;

/// The rows of a question, or the words of a refusal and whether the question is to blame.
pub(super) fn ask(kind: u8, body: &[u8], opened: &Opened) -> Result<usize, (String, bool)> {
    let tasks = [Task::Score, Task::Encode, Task::Project, Task::Decode, Task::Sample];
    let task = tasks[usize::from((kind & 0x7f) >> 1) % tasks.len()];
    let question = match kind & 1 {
        0 => Question::from_json(task, body, opened),
        _ => Question::from_npy(task, body, opened),
    };
    let question =
        question.map_err(|refusal| (refusal.message.clone(), refusal.status.is_client_error()))?;
    if let Question::Rows(inputs) = &question {
        assert_eq!(inputs.rows.dims().first(), Some(&question.rows()), "as many rows as it says");
        assert_eq!(inputs.rows.rank(), 2, "rows of numbers");
    }
    Ok(question.rows())
}
