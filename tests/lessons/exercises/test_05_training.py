"""Exercises of lesson 5: optimisers, a schedule, and first weights."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels.reference import optimizer as kernels
from nn import init, optim
from tests.lessons.exercises.expect import close, holds


class TestAdam:
    def step(self, gradients, **changed):
        """Steps from (1, -2) with these gradients; the parameter and both averages."""
        options = kernels.AdamOptions(0.9, 0.99, eps=1e-8, weight_decay=0.0, decoupled=False)._replace(**changed)
        w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
        for t, g in enumerate(gradients, 1):
            kernels.adamw([w], [np.array(g)], [m], [v], t, 0.1, options)
        return w, m, v

    def test_the_first_step_is_as_long_as_the_learning_rate(self):
        """Both corrections together make the first step lr·g/|g|, however large or small the gradient is."""
        w, _, _ = self.step([[1e-3, -500.0]])
        close(w, [0.9, -1.9], "(1, -2) after the first step with lr = 0.1 and gradient (0.001, -500)", rtol=1e-4)

    def test_two_steps_by_hand(self):
        """Gradients 1 and -1 for β₁ = 0.9, β₂ = 0.99: m = -0.01 and v = 0.0199, corrected by 0.19 and 0.0199."""
        w, m, v = self.step([[1.0, 1.0], [-1.0, -1.0]])
        close(m, [-0.01, -0.01], "m, in place, after gradients 1 and -1")
        close(v, [0.0199, 0.0199], "v, in place, after gradients 1 and -1")
        second = 0.1 * (-0.01 / 0.19)
        close(w, [0.9 - second, -2.1 - second], "the parameters after both steps")

    def test_eps_is_added_to_the_root(self):
        """√v̂ + ε, not √(v̂ + ε): with g = 0.5 and ε = 0.5 the first step is lr·0.5/(0.5 + 0.5)."""
        w, _, _ = self.step([[0.5, 0.5]], eps=0.5)
        close(w, [0.95, -2.05], "(1, -2) after a step with gradient 0.5 and eps = 0.5")

    def test_decay_in_the_gradient(self):
        """decoupled=False: g + weight_decay·param is what both averages see."""
        w, m, _ = self.step([[0.0, 0.0]], weight_decay=0.5)
        close(m, [0.05, -0.1], "m after one step with gradient 0 and L2 of 0.5")
        close(w, [0.9, -1.9], "(1, -2) after it: a step of lr towards 0, by the sign of the parameter")

    def test_decoupled_decay(self):
        """decoupled=True: each parameter shrinks by the share lr·weight_decay; the averages see the gradient alone."""
        w, m, _ = self.step([[0.0, 0.0]], weight_decay=0.5, decoupled=True)
        close(m, [0.0, 0.0], "m after one step with gradient 0")
        close(w, [0.95, -1.9], "(1, -2) after it: both shrunk by 0.1·0.5")


class TestMomentum:
    def steps(self, gradients, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0):
        w, buffer = np.array([1.0, -2.0]), np.full(2, np.nan)
        options = kernels.SGDOptions(momentum, dampening, nesterov, weight_decay)
        for t, g in enumerate(gradients):
            buffers = [buffer] if momentum else []
            kernels.sgd([w], [np.array(g)], buffers, 0.1, options, t == 0)
        return w, buffer

    def test_plain(self):
        """Without momentum: param - lr·g, in place."""
        w, _ = self.steps([[1.0, 3.0]], momentum=0)
        close(w, [0.9, -2.3], "(1, -2) after one plain step with lr = 0.1 and gradient (1, 3)")

    def test_momentum_adds_up(self):
        """Three times the gradient 1 with μ = 0.9: velocities 1, 1.9 and 2.71, whatever the buffer held at first."""
        w, buffer = self.steps([[1.0, 1.0]] * 3)
        close(buffer, [2.71, 2.71], "the buffer after three gradients of 1")
        close(w, [1 - 0.561, -2 - 0.561], "(1, -2) after the three steps")

    def test_dampening_spares_the_first(self):
        """The first gradient becomes the buffer whole; later ones are multiplied by 1 - dampening."""
        _, buffer = self.steps([[1.0, 2.0]] * 2, dampening=0.5)
        close(buffer, [1.4, 2.8], "the buffer after gradients (1, 2) twice, with μ = 0.9 and dampening 0.5")

    def test_nesterov_looks_ahead(self):
        """Nesterov's step is g + μ·buffer: 1 + 0.9·1, then 1 + 0.9·1.9."""
        w, _ = self.steps([[1.0, 1.0]] * 2, nesterov=True)
        close(w, [1 - 0.1 * (1.9 + 2.71), -2 - 0.1 * (1.9 + 2.71)], "(1, -2) after two steps with gradient 1")

    def test_weight_decay_is_part_of_the_gradient(self):
        """weight_decay·param is added to g before anything else, so the buffer has it too."""
        w, buffer = self.steps([[0.0, 0.0]], weight_decay=0.5)
        close(buffer, [0.5, -1.0], "the buffer after one step with gradient 0 and weight_decay 0.5")
        close(w, [0.95, -1.9], "(1, -2) after it")


class TestWarmupCosine:
    def rates(self, warmup, total, steps, lr=1.0, min_lr=0.0):
        optimizer = optim.SGD([mg.zeros(1, requires_grad=True)], lr=lr)
        schedule = optim.lr_scheduler.LinearWarmupCosine(optimizer, warmup, total, min_lr)
        return [schedule.lr_at(lr, step) for step in range(steps)]

    def test_the_warm_up(self):
        """Four warm-up steps: a fifth, two fifths, … of the rate, and the fifth step has all of it."""
        close(self.rates(4, 20, 5), [0.2, 0.4, 0.6, 0.8, 1.0], "the first five rates of 1.0 with 4 warm-up steps")

    def test_half_a_cosine(self):
        """From the end of the warm-up to total_steps: 1, ½(1 + cos 45°), ½, …, down to 0."""
        root = math.sqrt(0.5)
        expected = [1, (1 + root) / 2, 0.5, (1 - root) / 2, 0]
        close(self.rates(2, 10, 11)[2::2], expected, "rates of steps 2, 4, 6, 8, 10 with 2 of 10 as warm-up", atol=1e-9)

    def test_it_ends_at_the_smallest_rate_and_stays(self):
        """min_lr is the end of the cosine, and the rate of every step from total_steps on."""
        got = self.rates(0, 4, 8, lr=0.5, min_lr=0.1)
        close(got[2], 0.3, "half way between 0.5 and 0.1")
        close(got[4:], [0.1] * 4, "the rates from total_steps on")

    def test_no_warm_up(self):
        """Without a warm-up the first step has the whole rate."""
        close(self.rates(0, 10, 1, lr=0.3), [0.3], "the first rate with warmup_steps=0")


class TestHeInitialisation:
    def deviation(self, *shape, **options):
        mg.manual_seed(0)
        return float(init.kaiming_normal_(mg.zeros(*shape), **options).numpy().std())

    def test_relu(self):
        """Relu wants √(2 / fan_in): 200 inputs give 0.1."""
        got = self.deviation(500, 200, nonlinearity="relu")
        close(got, 0.1, "the deviation of a weight (500, 200) before a relu", rtol=0.02)

    def test_of_the_way_back(self):
        """mode="fan_out" counts the outputs: √(2 / 500)."""
        got = self.deviation(500, 200, nonlinearity="relu", mode="fan_out")
        close(got, math.sqrt(2 / 500), 'the deviation of a weight (500, 200) with mode="fan_out"', rtol=0.02)

    def test_a_convolution(self):
        """A weight (out, in, width) adds up in·width numbers for one output."""
        got = self.deviation(300, 40, 5, nonlinearity="relu")
        close(got, math.sqrt(2 / 200), "the deviation of a weight (300, 40, 5)", rtol=0.02)

    def test_a_slope(self):
        """The slope of leaky_relu enters the gain, √(2 / (1 + a²)); the uniform bound is √3 times the deviation."""
        mg.manual_seed(0)
        values = np.abs(init.kaiming_uniform_(mg.zeros(300, 150), a=2.0).numpy())
        bound = math.sqrt(3) * math.sqrt(2 / 5) / math.sqrt(150)
        close(values.max(), bound, "the largest of 45,000 uniform weights (300, 150) with slope 2", rtol=1e-3)
        holds(values.max() <= bound * (1 + 1e-6), "no weight is outside the bound")

    def test_what_has_no_fan(self):
        """A vector has no fan, and there is no mode "fan": both are a ValueError."""
        with pytest.raises(ValueError, match="shape"):
            init.kaiming_normal_(mg.zeros(3))
        with pytest.raises(ValueError, match="mode"):
            init.kaiming_normal_(mg.zeros(3, 3), mode="fan")


class TestRMSprop:
    def steps(self, gradients, **options):
        w = mg.tensor([1.0, -2.0], dtype="float64", requires_grad=True)
        optimizer = optim.RMSprop([w], lr=0.1, alpha=0.9, **options)
        for g in gradients:
            w.grad = mg.tensor(np.array(g))
            optimizer.step()
        return w.detach().numpy(), optimizer.state[w]

    def test_one_step_by_hand(self):
        """s = 0.1·g², and the step lr·g/√s = 0.1·√10, whatever the gradient's size."""
        w, state = self.steps([[4.0, -0.02]])
        close(state["square_avg"], [1.6, 4e-5], "square_avg after gradient (4, -0.02)")
        step = 0.1 * math.sqrt(10)
        close(w, [1 - step, -2 + step], "(1, -2) after one step with lr = 0.1", rtol=1e-4)

    def test_it_forgets(self):
        """After gradients 3, 1: s = 0.9·0.9 + 0.1 = 0.91."""
        _, state = self.steps([[3.0, 3.0], [1.0, 1.0]])
        close(state["square_avg"], [0.91, 0.91], "square_avg after gradients 3 and 1")

    def test_eps_and_decay(self):
        """weight_decay·param joins the gradient; ε is added to the root."""
        w, state = self.steps([[0.0, 0.0]], weight_decay=1.0, eps=0.5)
        close(state["square_avg"], [0.1, 0.4], "square_avg after gradient 0 with weight_decay 1")
        close(w, [1 - 0.1 / (math.sqrt(0.1) + 0.5), -2 + 0.2 / (math.sqrt(0.4) + 0.5)], "(1, -2) after it, eps = 0.5")

    def test_centered(self):
        """centered=True divides by √(s - m²): gradient 2 gives s = 0.4 and m = 0.2."""
        w, state = self.steps([[2.0, 2.0]], centered=True)
        close(state["grad_avg"], [0.2, 0.2], "grad_avg after gradient 2")
        close(w[0], 1 - 0.2 / 0.6, "1 after a step: 0.1·2/√(0.4 - 0.04)")

    def test_momentum(self):
        """The buffer adds up the divided gradients: after 1 and 1, with s = 0.1 and 0.19."""
        w, _ = self.steps([[1.0, 1.0]] * 2, momentum=0.5)
        first, second = 1 / math.sqrt(0.1), 1 / math.sqrt(0.19)
        close(w[0], 1 - 0.1 * (first + 0.5 * first + second), "1 after two steps with momentum 0.5")
