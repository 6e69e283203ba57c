/* The first program by hand: Dense 20 -> 64 -> 1, relu and sigmoid, batch 10, Adam,
 * binary cross-entropy, accuracy. One thread, one core; the compiler vectorizes over
 * the 64 hidden units. Built and called by peers.py. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 20, HIDDEN = 64, BATCH = 10, PARAMETERS = INPUTS * HIDDEN + 2 * HIDDEN + 1 };

/* All parameters in a row, so that Adam is one loop. */
typedef union {
    struct {
        float kernel[INPUTS][HIDDEN], bias[HIDDEN], output_kernel[HIDDEN], output_bias;
    };
    float all[PARAMETERS];
} Weights;

static _Alignas(64) Weights weights, moment, velocity;
static uint64_t random_state;
static int iterations;

static uint32_t random_bits(void) { /* xorshift64*, Vigna 2016 */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 2685821657736338717ULL) >> 32);
}

static float random_uniform(float limit) { return limit * (random_bits() * 0x1p-31f - 1.0f); }

void start(uint64_t seed) {
    random_state = 2 * seed + 1;
    iterations = 0;
    memset(&weights, 0, sizeof weights);
    memset(&moment, 0, sizeof moment);
    memset(&velocity, 0, sizeof velocity);
    for (int i = 0; i < INPUTS; i++)
        for (int j = 0; j < HIDDEN; j++)
            weights.kernel[i][j] = random_uniform(sqrtf(6.0f / (INPUTS + HIDDEN)));
    for (int j = 0; j < HIDDEN; j++)
        weights.output_kernel[j] = random_uniform(sqrtf(6.0f / (HIDDEN + 1)));
}

static void adam(const Weights *restrict gradient) {
    const float beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
    const int t = ++iterations;
    const float rate = 0.001f * sqrtf(1 - powf(beta_2, t)) / (1 - powf(beta_1, t));
    for (int i = 0; i < PARAMETERS; i++) {
        const float g = gradient->all[i];
        moment.all[i] += (g - moment.all[i]) * (1 - beta_1);
        velocity.all[i] += (g * g - velocity.all[i]) * (1 - beta_2);
        weights.all[i] -= rate * moment.all[i] / (sqrtf(velocity.all[i]) + epsilon);
    }
}

/* One step on the rows named; adds to the sum of losses and the count of hits. */
static void step(const float *restrict x, const float *restrict y, const int *restrict rows,
                 int count, double *loss, int *hits) {
    static _Alignas(64) Weights gradient;
    _Alignas(64) float hidden[HIDDEN], delta[HIDDEN];
    memset(&gradient, 0, sizeof gradient);
    for (int b = 0; b < count; b++) {
        const float *restrict row = x + (size_t)rows[b] * INPUTS;
        const float target = y[rows[b]];

        for (int j = 0; j < HIDDEN; j++) hidden[j] = weights.bias[j];
        for (int i = 0; i < INPUTS; i++)
            for (int j = 0; j < HIDDEN; j++) hidden[j] += row[i] * weights.kernel[i][j];
        float logit = weights.output_bias;
        for (int j = 0; j < HIDDEN; j++) {
            hidden[j] = hidden[j] > 0 ? hidden[j] : 0;
            logit += hidden[j] * weights.output_kernel[j];
        }
        *loss += fmaxf(logit, 0) - logit * target + log1pf(expf(-fabsf(logit)));
        *hits += (logit > 0) == (target > 0.5f);

        const float slope = (1 / (1 + expf(-logit)) - target) / count;
        gradient.output_bias += slope;
        for (int j = 0; j < HIDDEN; j++) {
            gradient.output_kernel[j] += slope * hidden[j];
            delta[j] = hidden[j] > 0 ? slope * weights.output_kernel[j] : 0;
            gradient.bias[j] += delta[j];
        }
        for (int i = 0; i < INPUTS; i++)
            for (int j = 0; j < HIDDEN; j++) gradient.kernel[i][j] += row[i] * delta[j];
    }
    adam(&gradient);
}

/* Train for some epochs, shuffled anew in each; the mean loss and accuracy of the last. */
void train(const float *x, const float *y, int rows, int epochs, double *loss, double *accuracy) {
    int *order = malloc((size_t)rows * sizeof *order);
    for (int i = 0; i < rows; i++) order[i] = i;
    for (int epoch = 0; epoch < epochs; epoch++) {
        int hits = 0;
        *loss = 0;
        for (int i = rows - 1; i > 0; i--) {
            const int j = (int)(((uint64_t)random_bits() * (uint32_t)(i + 1)) >> 32);
            const int kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        for (int first = 0; first < rows; first += BATCH)
            step(x, y, order + first, rows - first < BATCH ? rows - first : BATCH, loss, &hits);
        *loss /= rows;
        *accuracy = (double)hits / rows;
    }
    free(order);
}
