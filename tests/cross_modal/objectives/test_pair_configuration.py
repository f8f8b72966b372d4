import subprocess
import sys

from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_loss import PairLoss


def test_the_settings_are_read_without_torch():
    code = (
        "import sys, cross_modal.objectives.pair_configuration as module; "
        "module.PairObjectiveConfig(); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_the_defaults_train_a_scale_and_a_bias_with_both_verdicts_alike():
    config = PairObjectiveConfig()
    assert (config.compare_within, config.same_share) == ("batch", 0.5)
    assert PairLoss(config, dim=4).head.kind == "similarity"


def test_the_textbook_convention_is_explained_where_the_settings_are():
    assert "y = 0" in PairObjectiveConfig.__doc__
    assert "1 − y" in PairObjectiveConfig.__doc__
