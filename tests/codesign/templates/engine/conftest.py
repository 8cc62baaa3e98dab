from support.joint_tasks import archive, joint, make_task, oracle, plan, pricer, problem, quiet_optuna

__all__ = ["archive", "joint", "make_task", "oracle", "plan", "pricer", "problem", "quiet_optuna"]
