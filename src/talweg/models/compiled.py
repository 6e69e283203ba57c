"""CompiledModel: what `compile` chose, and how a model is prepared."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from talweg import optimizers
from talweg.core import errors
from talweg.core.loans import discard_assignments
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.core.variables import lend
from talweg.data import Batches
from talweg.data.batches import Sample
from talweg.layers import Layer
from talweg.layers.building import by_calling, is_shape
from talweg.layers.context import call_context
from talweg.models import data_checks
from talweg.models.objectives import Objectives
from talweg.models.steps import Steps, overrides, training_flag
from talweg.models.structures import path_names
from talweg.models.trainee import ModelTrainee
from talweg.ops.keras_tensor import KerasTensor

# Who overrides one of these may need no targets.
_OWN_LOSS = ("compute_loss", "train_step", "test_step")


class CompiledModel(Steps):
    """A layer that knows an optimizer, losses and metrics; the base of `Model`."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.optimizer: Any = None
        self.objectives: Objectives | None = None
        self.stop_training = False
        self.run_eagerly = False
        self.jit_compile: bool | str = "auto"
        self.steps_per_execution: int | str = "auto"
        self.compile_arguments: dict[str, Any] = {}
        self._trainee: ModelTrainee | None = None
        # Outputs by what the batches look like: what was checked and built for already.
        self._prepared: dict[Any, Any] = {}
        self._predictor: Any = None

    # The layers through which inputs go one after the other, with nothing between; none where
    # that is not known.
    _chain: Sequence[Layer] = ()

    @property
    def layers(self) -> list[Layer]:
        """The layers that the model holds directly."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by position.

        Raises:
            ValueError: neither or both are given; there is no such layer.
        """
        if (name is None) == (index is None):
            raise errors.invalid("get_layer", "one of name and index", "given", (name, index))
        if index is not None:
            count = len(self.layers)
            if not -count <= index < count:
                raise errors.invalid("get_layer", "index", f"below {count}, the layers", index)
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise errors.unknown("layer", name, [layer.name for layer in self.layers])

    def recover(self) -> None:
        """Go on with training after a divergence, for callbacks that have mended its cause.

        Called while the event of the Alarm is told; else `fit` warns and stops.
        """
        if self._trainee is not None:
            self._trainee.recover()

    # -- compile ---------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: an optimizer or its name; None to evaluate and predict only.
            loss: a loss, its name, a function; in the structure of the outputs, as lists or
                dicts. A function of yours in the place of several outputs is given all of them.
            loss_weights: what each output's loss is multiplied by.
            metrics: metrics, names, functions; per output as lists or a dict. "accuracy"
                picks its kind from the shapes.
            weighted_metrics: the same, weighted by sample and class weights.
            run_eagerly: run step by step without compiling, to debug.
            steps_per_execution: steps in one compiled call, for which batch hooks are called
                once; "auto" chooses by measuring, 1 steps one by one.
            jit_compile: accepted as Keras does; steps are compiled.
            auto_scale_loss: under the policy "mixed_float16", wrap the optimizer in a
                `LossScaleOptimizer`.

        Raises:
            ValueError: an unknown name, a value that makes no sense.
        """
        if steps_per_execution != "auto" and (
            not isinstance(steps_per_execution, int) or steps_per_execution < 1
        ):
            raise errors.invalid(
                "compile", "steps_per_execution", "a positive integer or 'auto'",
                steps_per_execution,
            )  # fmt: skip
        self.optimizer = None if optimizer is None else optimizers.get(optimizer)
        float16 = self.dtype_policy.name == "mixed_float16"
        if (
            self.optimizer is not None
            and auto_scale_loss
            and float16
            and not self.optimizer.handles_overflow
        ):
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer)
        self.objectives = Objectives(loss, loss_weights, metrics, weighted_metrics)
        self.run_eagerly = run_eagerly
        self.jit_compile = not run_eagerly if jit_compile == "auto" else jit_compile
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self._forget_programs()
        self.compile_arguments = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": 1 if steps_per_execution == "auto" else steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.objectives is not None

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given, as records."""
        return serialize_keras_object(self.compile_arguments)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as `get_compile_config` recorded.

        A file says `steps_per_execution` 1 where nobody chose it: that is "auto" again.
        """
        arguments = deserialize_keras_object(config)
        if arguments.get("steps_per_execution") == 1:
            arguments["steps_per_execution"] = "auto"
        self.compile(**arguments)

    @property
    def loss(self) -> Any:
        """The loss as `compile` was given it."""
        return self.compile_arguments.get("loss")

    # -- Keras's names for what talweg does by itself --------------------------------------

    def make_train_function(self, force: bool = False) -> None:
        """With `force`, compile the steps anew: where code that `call` uses has changed.

        A layer that was frozen or thawed is noticed without it.
        """
        if force:
            self._forget_programs()

    def make_test_function(self, force: bool = False) -> None:
        """The same as `make_train_function`: the steps are compiled together."""
        self.make_train_function(force)

    def make_predict_function(self, force: bool = False) -> None:
        """The same as `make_train_function`: the steps are compiled together."""
        self.make_train_function(force)

    def jax_state_sync(self) -> None:
        """Nothing: variables always hold their values."""

    # -- preparation ---------------------------------------------------------------------

    def _ready(self) -> ModelTrainee:
        if self._trainee is None:
            raise RuntimeError("The model has not been prepared yet: call fit() or evaluate().")
        return self._trainee

    def _forget_programs(self) -> None:
        """The layers or what they are trained for have changed."""
        self._trainee = self._predictor = None
        self._prepared = {}

    def _require_compiled(self, method: str) -> None:
        if self.objectives is None:
            raise ValueError(
                f"The model must be compiled before {method}(): call "
                "model.compile(optimizer=…, loss=…)."
            )

    def _require_optimizer(self, method: str) -> None:
        self._require_compiled(method)
        if self.optimizer is None:
            raise ValueError(
                f"{method}() needs an optimizer, but the model was compiled with optimizer=None, "
                "to evaluate and predict. Call model.compile(optimizer=…, loss=…)."
            )

    @by_calling
    def build(self, input_shape: Any = None) -> None:
        """Make all variables for inputs of this shape, the batch axis first, None where unknown.

        Args:
            input_shape: a shape, or the shapes of several inputs in their structure.
        """
        if self.built or self._building:  # a subclass builds its layers itself
            return
        specs = jax.tree.map(lambda sizes: KerasTensor(sizes), input_shape, is_leaf=is_shape)
        with call_context(False):
            self(specs, training=False)
        self._build_shape = input_shape

    def build_on(self, x: Any) -> Any:
        """Make all variables for inputs like `x`; returns the specs of the outputs."""
        if self.run_eagerly:  # the user's code may look at values
            with jax.disable_jit(), discard_assignments(), call_context(False):
                outputs = self(x, training=False)
            return jax.tree.map(lambda a: KerasTensor((None, *a.shape[1:]), a.dtype), outputs)
        specs = jax.tree.map(lambda a: KerasTensor(a.shape, a.dtype), x)
        with call_context(False):
            return self(specs, training=False)

    def prepare(self, example: Sample) -> Any:
        """Build for batches like `example` and resolve losses and metrics; the outputs' specs."""
        assert self.objectives is not None
        signature = _signature(example)
        if signature in self._prepared:
            return self._prepared[signature]
        data_checks.check_structure(self, example)
        # A model whose steps are all the user's own may have no call.
        outputs = None if type(self).call is Layer.call else self.build_on(example.x)
        if outputs is not None and not self.objectives.built:
            own_loss = overrides(self, "compute_loss")
            self.objectives.build(example.y, outputs, *self._output_names(outputs), own_loss)
            if own_loss and self.loss is not None:
                self._show_loss(example)
        elif outputs is not None and not any(overrides(self, own) for own in _OWN_LOSS):
            self.objectives.placed.targets_for(example.y)
        data_checks.check_objectives(self, example, outputs)
        self._prepared[signature] = outputs
        return outputs

    def _show_loss(self, example: Sample) -> None:
        """Compute the user's own loss of a batch once, so that what it asks for is resolved."""
        cells = [*self.variables, *self.metrics_variables]

        def compute(arrays: Any, x: Any, y: Any, weight: Any) -> None:
            with lend(cells, arrays), call_context(False):
                y_pred = self(x, training=False)
                flag = training_flag(self, False)
                self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight, **flag)
                self.objectives.shown(y, y_pred)  # pyright: ignore[reportOptionalMemberAccess]

        given = [cell.value for cell in cells], *example
        if self.run_eagerly:  # the user's code may look at values
            compute(*given)
        else:
            jax.eval_shape(compute, *given)

    def _outputs_for(self, sample: Sample) -> Any:
        """The specs of the outputs for a batch, whose shapes may differ from the first's."""
        signature = _signature(sample)
        if signature not in self._prepared:
            self._prepared[signature] = self.build_on(sample.x)
        return self._prepared[signature]

    def _prepare(self, batches: Batches, phase: str = "train") -> ModelTrainee:
        """Build the model, resolve the losses, check the data, make the programs."""
        example = batches.example()
        outputs = self.prepare(example)
        if outputs is not None:
            batches.check(
                lambda sample: data_checks.check_values(self, sample, self._outputs_for(sample))
            )
        known, optimizer = self._trainee, self.optimizer
        variables = self.trainable_variables
        if phase == "test" and optimizer is not None and not optimizer.takes(variables):
            optimizer = None  # layers were thawed since: only training must compile again
        same = known is not None and list(map(id, variables)) == list(map(id, known.params))
        if not same or (phase == "train" and known.optimizer is not optimizer):
            self._trainee = ModelTrainee(self, optimizer)
        trainee = self._ready()
        trainee.prime(example, phase)
        return trainee

    def _output_names(self, outputs: Any) -> tuple[list[str], bool]:
        """A name for each output, and whether they are the model's own."""
        own = getattr(self, "output_names", None)
        names = own or [f"output_{i + 1}" for i in range(len(jax.tree.leaves(outputs)))]
        return path_names(outputs, names), bool(own) or isinstance(outputs, Mapping)


def _signature(example: Sample) -> Any:
    """What batches must share to be treated alike: all but the number of rows."""
    leaves, structure = jax.tree.flatten(example)
    return structure, tuple((leaf.shape[1:], str(leaf.dtype)) for leaf in leaves)
