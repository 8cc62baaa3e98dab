from support.joint_tasks import joint, oracle, plan, pricer

__all__ = ["joint", "oracle", "plan", "pricer"]
