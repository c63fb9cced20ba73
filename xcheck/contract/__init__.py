"""What a derivative rule owes beyond right values: the same answer however it is used."""

from xcheck.contract.examine import Contract, examine_contract, owes_contract, raised

__all__ = ["Contract", "examine_contract", "owes_contract", "raised"]
