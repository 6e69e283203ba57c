"""Callbacks: what happens between the blocks of a training run."""

from talweg.callbacks.alarms import Alarms
from talweg.callbacks.backup_and_restore import BackupAndRestore
from talweg.callbacks.base import Callback
from talweg.callbacks.callback_list import CallbackList
from talweg.callbacks.csv_logger import CSVLogger
from talweg.callbacks.early_stopping import EarlyStopping
from talweg.callbacks.history import History
from talweg.callbacks.lambda_callback import LambdaCallback
from talweg.callbacks.learning_rate_scheduler import LearningRateScheduler
from talweg.callbacks.model_checkpoint import ModelCheckpoint
from talweg.callbacks.monitor_callback import MonitorCallback
from talweg.callbacks.progbar_logger import ProgbarLogger
from talweg.callbacks.progress import Progbar
from talweg.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from talweg.callbacks.remote_monitor import RemoteMonitor
from talweg.callbacks.roll_back import RollBackOnDivergence
from talweg.callbacks.run_folder import RunFolder
from talweg.callbacks.swap_ema_weights import SwapEMAWeights
from talweg.callbacks.tensorboard import TensorBoard
from talweg.callbacks.terminate_on_nan import TerminateOnNaN
from talweg.core.absent import refusing

__all__ = [
    "Callback",
    "CallbackList",
    "MonitorCallback",
    "History",
    "LambdaCallback",
    "EarlyStopping",
    "ReduceLROnPlateau",
    "LearningRateScheduler",
    "TerminateOnNaN",
    "Alarms",
    "RollBackOnDivergence",
    "ModelCheckpoint",
    "BackupAndRestore",
    "SwapEMAWeights",
    "CSVLogger",
    "RemoteMonitor",
    "TensorBoard",
    "RunFolder",
    "ProgbarLogger",
    "Progbar",
]

__getattr__ = refusing(__name__)
