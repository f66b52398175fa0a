"""What our trainers ask of verl's configuration, and what they set in it."""

from __future__ import annotations

from importlib import resources
from typing import Any

from omegaconf import OmegaConf, open_dict

from mindgpt_plugins.verl_ext.settings import Mode, VerlSettings, VerlSettingsError, find_trainer_name

REWARD_MODULE = "pkg://mindgpt_plugins.verl_ext.reward"
REWARD_CLASS = "MindGPTRewardManager"
AGENT_MANAGER = "mindgpt_plugins.verl_ext.agent_manager.SharedInputsManager"


def check_verl_config(config: Any, mode: Mode) -> None:
    """Refuse what would silently bypass us or cannot run.

    Raises:
        SettingsError: naming the override and what to write instead.
    """
    name = find_trainer_name(mode)
    wrong = {
        "algorithm.adv_estimator": ("grpo", "the advantage is chosen in our settings"),
        "algorithm.use_kl_in_reward": (False, "use actor.use_kl_loss=true for KL"),
        "trainer.v1.sampler.sync_refill_failed_groups": (False, "a failed group stops the run instead"),
    }
    for key, (wanted, why) in wrong.items():
        found = OmegaConf.select(config, key, default=wanted)
        if found != wanted:
            raise VerlSettingsError(f"{name}: {key}={found} does not go with it; set {key}={wanted} ({why})")
    if OmegaConf.select(config, "reward.custom_reward_function.path"):
        raise VerlSettingsError(
            f"{name}: reward.custom_reward_function would bypass the settings' rewards; register yours with @reward"
        )
    if config.reward.reward_model.enable and not config.reward.reward_model.enable_resource_pool:
        raise VerlSettingsError(f"{name}: a colocated reward model is not supported; set enable_resource_pool=true")
    if mode == "separate_async" and config.trainer.device == "cpu":
        raise VerlSettingsError(
            f"{name}: needs GPUs of its own for rollouts and a checkpoint engine between them (nccl, nixl, …), none of "
            "which exists on CPU; use mode sync or colocate_async there"
        )


def take_over_config(config: Any, settings: VerlSettings, mode: Mode) -> None:
    """Point verl at our reward manager, agent loop and pictures, and name the mode as the base class knows it."""
    loops = str(resources.files("mindgpt_plugins.verl_ext.conf") / "agent_loops.yaml")
    with open_dict(config):
        # The base classes compare the mode with their own names.
        config.trainer.v1.trainer_mode = mode
        config.reward.reward_manager.source = "importlib"
        config.reward.reward_manager.name = REWARD_CLASS
        config.reward.reward_manager.module.path = REWARD_MODULE
        agent = config.actor_rollout_ref.rollout.agent
        # Someone else's agent loop is left alone; then samples are reproducible only as far as it is.
        if agent.default_agent_loop == "single_turn_agent" and not agent.agent_loop_config_path:
            agent.default_agent_loop, agent.agent_loop_config_path = "mindgpt_single_turn", loops
        # With any agent loop: verl's own worker cannot give most families' pictures to the training side.
        agent.agent_loop_manager_class = agent.get("agent_loop_manager_class") or AGENT_MANAGER
    if settings.image is not None:
        from mindgpt_plugins.verl_ext.pictures import fit_dataset_pictures

        fit_dataset_pictures(config, settings.image)
