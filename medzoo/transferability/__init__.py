"""How well a weight will transfer, guessed from its features or its own outputs without fine-tuning."""

from medzoo.transferability.agreement import agreement
from medzoo.transferability.hscore import h_score
from medzoo.transferability.leep import leep
from medzoo.transferability.logme import log_me
from medzoo.transferability.nce import nce
from medzoo.transferability.scoring import SCORES, transfer_scores

__all__ = ["SCORES", "agreement", "h_score", "leep", "log_me", "nce", "transfer_scores"]
