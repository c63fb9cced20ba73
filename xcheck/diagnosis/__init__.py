"""Why a derivative is wrong: claims are matched against transformations of the measured derivative."""

from xcheck.diagnosis.diagnose import Diagnosis, Laboratory, diagnose
from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Region, whole

__all__ = ["Diagnosis", "Explanation", "Laboratory", "Region", "diagnose", "whole"]
