# The files of settings, before Snakemake reads them: by the strict reader of all other YAML, so that
# a key given twice, a value with two meanings or a file that is no UTF-8 is told in one line.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from ablation.config.load import check_settings
from ablation.errors import UserError
from snakemake.exceptions import WorkflowError

_files = [Path("config/config.yaml"), *map(Path, workflow.overwrite_configfiles)]

try:
    # Snakemake says itself which one is missing.
    check_settings(path for path in _files if path.exists())
except UserError as error:
    raise WorkflowError(str(error)) from None
