from .address import Address as Address
from .aggregate import Aggregate as Aggregate
from .aggregate import DiagonalAggregate as DiagonalAggregate
from .aggregate import InMemoryCodes as InMemoryCodes
from .density_fits import Codes as Codes
from .estimate import Estimate as Estimate
from .interval import Interval as Interval
