"""Exercises of lesson 19: number formats, the loss scaler, checkpoints."""

import numpy as np

import minigrad as mg
from minigrad.dtypes import epsilon
from tests.lessons.exercises import expect


class Optimizer:
    """Counts its steps; its parameters have the gradients that are given."""

    def __init__(self, *gradients):
        self.parameters = []
        for gradient in gradients:
            parameter = mg.zeros(np.shape(gradient) or (1,), requires_grad=True)
            if gradient is not None:
                parameter.grad = mg.tensor(np.array(gradient, "float32"))
            self.parameters.append(parameter)
        self.param_groups = [{"params": self.parameters[:1]}, {"params": self.parameters[1:]}]
        self.steps = 0

    def step(self):
        self.steps += 1


class TestEpsilon:
    def test_numpys_formats(self):
        """float64, float32 and float16 have 52, 23 and 10 bits of fraction."""
        for name, bits in (("float64", 52), ("float32", 23), ("float16", 10)):
            expect.equal(epsilon(np.dtype(name)), 2.0**-bits, f"distance from 1 to the next {name}")

    def test_bfloat16(self):
        """bfloat16 has 7 bits of fraction. numpy does not know its finfo: its dtype is of kind V."""

        class Stored:  # as numpy shows the dtype of ml_dtypes
            kind, itemsize = "V", 2

        expect.equal(epsilon(Stored), 2.0**-7, "distance from 1 to the next bfloat16")

    def test_it_is_the_distance(self):
        """1 + epsilon is another number than 1, and 1 + epsilon/2 is rounded to 1."""
        for scalar in (np.float16, np.float32, np.float64):
            e = scalar(epsilon(np.dtype(scalar)))
            expect.holds(scalar(1) + e > 1, f"1 + epsilon > 1 in {scalar.__name__}")
            expect.holds(scalar(1) + e / scalar(2) == 1, f"1 + epsilon/2 is rounded to 1 in {scalar.__name__}")


class TestScaleRule:
    def scaler(self, **options):
        return mg.GradScaler(init_scale=1024.0, growth_interval=3, **options)

    def after(self, scaler, found):
        """The factors after steps in which an infinite gradient was found, or not."""
        scales = []
        for infinite in found:
            scaler._unscaled, scaler._found_inf = {"an optimiser": 1.0}, infinite
            scaler.update()
            scales.append(scaler.get_scale())
        return scales

    def test_it_grows_after_the_interval(self):
        """With growth_interval 3 the factor doubles with the third good step, and again with the sixth."""
        got = self.after(self.scaler(), [False] * 6)
        expect.equal(got, [1024.0, 1024.0, 2048.0, 2048.0, 2048.0, 4096.0], "factors after six good steps")

    def test_an_infinite_gradient_halves_it_at_once(self):
        """Each step with an infinite gradient halves the factor."""
        expect.equal(self.after(self.scaler(), [True, True]), [512.0, 256.0], "factors after two bad steps")

    def test_the_count_begins_anew_after_a_bad_step(self):
        """Two good, one bad, two good: no growth yet; the third good one in a row brings it."""
        got = self.after(self.scaler(), [False, False, True, False, False, False])
        expect.equal(got, [1024.0, 1024.0, 512.0, 512.0, 512.0, 1024.0], "factors")

    def test_it_forgets_the_step(self):
        """After update nothing is left of the step: what was unscaled, and whether it was infinite."""
        scaler = self.scaler()
        self.after(scaler, [True])
        expect.equal(scaler._unscaled, {}, "optimisers unscaled since update")
        expect.equal(scaler._found_inf, False, "found_inf after update")
        try:
            scaler.update()
        except RuntimeError:
            return
        expect.holds(False, "update without a step raises RuntimeError")


class TestUnscale:
    def test_all_gradients_are_divided(self):
        """The gradients of all groups are divided by the factor, in place; a parameter without one is passed over."""
        optimizer = Optimizer([8.0, -16.0], None, [[4.0]])
        array = optimizer.parameters[0].grad.data
        mg.GradScaler(init_scale=4.0).unscale_(optimizer)
        expect.close(optimizer.parameters[0].grad, [2.0, -4.0], "first gradient")
        expect.close(optimizer.parameters[2].grad, [[1.0]], "third gradient")
        expect.holds(optimizer.parameters[0].grad.data is array, "the division is in place")

    def test_twice_is_an_error(self):
        """A second call before update() would divide twice: RuntimeError, and the gradients stay."""
        optimizer, scaler = Optimizer([8.0]), mg.GradScaler(init_scale=4.0)
        scaler.unscale_(optimizer)
        try:
            scaler.unscale_(optimizer)
        except RuntimeError:
            expect.close(optimizer.parameters[0].grad, [2.0], "the gradient after the refused call")
            return
        expect.holds(False, "unscale_ twice raises RuntimeError")

    def test_the_norm_is_remembered(self):
        """step() looks at the norm of the unscaled gradients: of 3 and 4 it is 5, and infinite where one is."""
        scaler = mg.GradScaler(init_scale=2.0)
        good, bad = Optimizer([6.0], [8.0]), Optimizer([np.inf], [1.0])
        scaler.unscale_(good)
        scaler.unscale_(bad)
        expect.close(float(scaler._unscaled[good]), 5.0, "norm of the gradients 3 and 4")
        expect.holds(not np.isfinite(float(scaler._unscaled[bad])), "the norm with an infinite gradient is not finite")

    def test_not_enabled_it_does_nothing(self):
        """With enabled=False the gradients stay as they are."""
        optimizer, scaler = Optimizer([8.0]), mg.GradScaler(enabled=False)
        scaler.unscale_(optimizer)
        expect.close(optimizer.parameters[0].grad, [8.0], "gradient")
        try:
            mg.GradScaler(init_scale=2.0).unscale_(optimizer)
        finally:
            expect.close(optimizer.parameters[0].grad, [4.0], "gradient after an enabled scaler with factor 2")


class TestStep:
    def test_a_good_step_is_made(self):
        """With finite gradients the optimiser steps once, on gradients divided once."""
        optimizer, scaler = Optimizer([8.0]), mg.GradScaler(init_scale=4.0)
        scaler.step(optimizer)
        expect.equal(optimizer.steps, 1, "steps of the optimiser")
        expect.close(optimizer.parameters[0].grad, [2.0], "the gradient it saw")

    def test_infinite_or_nan_leaves_it_out(self):
        """With an infinite gradient or a NaN no step is made, and update() halves the factor."""
        for bad in (np.inf, -np.inf, np.nan):
            optimizer, scaler = Optimizer([1.0], [bad]), mg.GradScaler(init_scale=4.0)
            scaler.step(optimizer)
            scaler.update()
            expect.equal(optimizer.steps, 0, f"steps of the optimiser with a gradient of {bad}")
            expect.equal(scaler.get_scale(), 2.0, f"the factor after a gradient of {bad}")

    def test_after_unscale_it_does_not_divide_again(self):
        """unscale_, clip, step: the step must use the gradients as they are then."""
        optimizer, scaler = Optimizer([8.0]), mg.GradScaler(init_scale=4.0)
        scaler.unscale_(optimizer)
        optimizer.parameters[0].grad.data[:] = 0.5
        scaler.step(optimizer)
        expect.close(optimizer.parameters[0].grad, [0.5], "the gradient it saw")
        expect.equal(optimizer.steps, 1, "steps of the optimiser")

    def test_not_enabled_it_always_steps(self):
        """With enabled=False it is the optimiser's step, whatever the gradients."""
        optimizer = Optimizer([np.inf])
        mg.GradScaler(enabled=False).step(optimizer)
        expect.equal(optimizer.steps, 1, "steps of the optimiser")


class TestRunAgain:
    def test_gradients_as_without(self):
        """By two inputs and by a parameter that the function uses without being given it."""
        rng = np.random.default_rng(0)
        w = mg.tensor(rng.normal(size=(3, 3)), requires_grad=True)

        def function(x, y):
            return (x @ w).tanh() * y

        expect.gradients(
            lambda x, y: mg.checkpoint(function, x, y), rng.normal(size=(2, 2, 3)), "a checkpoint of (x @ w).tanh() * y"
        )
        x, y = (mg.tensor(rng.normal(size=(2, 3)), requires_grad=True) for _ in range(2))
        w.grad = None
        mg.checkpoint(function, x, y).sum().backward()
        z = np.tanh(x.detach().numpy() @ w.detach().numpy())
        expected = x.detach().numpy().T @ (y.detach().numpy() * (1 - z**2))
        expect.close(w.grad, expected, "gradient of the parameter that was used without being given")

    def test_the_same_random_numbers(self):
        """Dropout inside drops the same numbers again: each gradient is 0 exactly where the output was 0."""
        from nn import functional as F

        mg.manual_seed(5)
        x = mg.ones(400, requires_grad=True)
        y = mg.checkpoint(lambda x: F.dropout(x, 0.5, training=True), x)
        mg.rand(7)  # others draw in between
        y.sum().backward()
        expect.equal(x.grad.numpy() == 0, y.detach().numpy() == 0, "places that were dropped")

    def test_the_generator_goes_on_as_if_nothing_had_been(self):
        """The second run must not disturb the random numbers that come after it."""

        def numbers(checkpointed):
            mg.manual_seed(1)
            x = mg.ones(5, requires_grad=True)

            def noisy(x):
                return x * mg.rand(5)

            y = mg.checkpoint(noisy, x) if checkpointed else noisy(x)
            between = mg.rand(2).numpy()
            y.sum().backward()
            return np.concatenate([between, mg.rand(3).numpy()])

        expect.close(numbers(True), numbers(False), "random numbers drawn between and after")

    def test_several_outputs_and_one_of_them_unused(self):
        """A tuple of outputs, of which only one reaches the loss: the other counts as zero."""
        x = mg.tensor(np.array([0.3, -1.2]), requires_grad=True)
        first, second = mg.checkpoint(lambda x: (x * x, x.exp()), x)
        (first * 3).sum().backward()
        expect.close(x.grad, 6 * np.array([0.3, -1.2]), "gradient with respect to x of 3 x², the other output unused")
        x.grad = None
        first, second = mg.checkpoint(lambda x: (x * x, x.exp()), x)
        (first + second).sum().backward()
        expect.close(x.grad, 2 * x.detach().numpy() + np.exp(x.detach().numpy()), "gradient with both used")
