"""The cheapest path through a square grid with eight neighbours, by Dijkstra's algorithm on `heapq`.

Arguments: the side, and the negative costs of the cells, row by row. Prints the cost, and the milliseconds of a
solve (tenth percentile of 50).
"""

import heapq
import sys
import time


def solve(costs, side):
    last = side * side - 1
    distance = [float("inf")] * (side * side)
    distance[0] = costs[0]
    queue = [(costs[0], 0)]
    while queue:
        reached, cell = heapq.heappop(queue)
        if cell == last:
            return reached
        if reached > distance[cell]:
            continue
        row, column = divmod(cell, side)
        for r in range(max(row - 1, 0), min(row + 2, side)):
            for c in range(max(column - 1, 0), min(column + 2, side)):
                there = reached + costs[r * side + c]
                if there < distance[r * side + c]:
                    distance[r * side + c] = there
                    heapq.heappush(queue, (there, r * side + c))


def main():
    side = int(sys.argv[1])
    costs = [-float(word) for word in sys.argv[2].split()]
    times = []
    for _ in range(50):
        start = time.perf_counter()
        cost = solve(costs, side)
        times.append(time.perf_counter() - start)
    print(repr(cost), 1e3 * sorted(times)[len(times) // 10])


main()
