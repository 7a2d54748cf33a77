"""The loss of a student against its teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def distillation_loss(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """T² x KL(teacher || student), both softened by the temperature T; mean over the batch.

    Hinton et al. 2015 (arXiv 1503.02531, section 2): the factor T² keeps the gradient's size as
    T changes. Both logits: (b, classes) float; temperature > 0; returns a scalar. No gradient is
    kept from the teacher. Draws nothing.
    """
    from torch.nn.functional import kl_div, log_softmax

    student = log_softmax(student_logits / temperature, dim=1)
    teacher = log_softmax(teacher_logits.detach() / temperature, dim=1)
    return kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
