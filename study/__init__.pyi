from .design.cell import Cell as Cell
from .design.study import Study as Study
from .diagnosis.diagnose import diagnose as diagnose
from .errors import StudyError as StudyError
from .run.session import run as run
from .store.store import Store as Store
