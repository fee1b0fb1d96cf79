"""Close a delete job, as the machine's last step or because its execution ended otherwise."""

from shared.bootstrap.delete_finish import finish
from shared.entrypoints.workflow import step_handler

lambda_handler = step_handler(finish, "FinishDeletion")
