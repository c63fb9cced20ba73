"""Why a derivative is wrong: claims are matched against transformations of the measured derivative."""

from xcheck.diagnosis.cotangents import nonlinear
from xcheck.diagnosis.diagnose import Diagnosis, diagnose
from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Laboratory, Region, Sample, Slopes

__all__ = ["Diagnosis", "Explanation", "Laboratory", "Region", "Sample", "Slopes", "diagnose", "nonlinear"]
