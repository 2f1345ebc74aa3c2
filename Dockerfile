# SPDX-License-Identifier: Apache-2.0
# docker build -t vision_banana .                                      on ROS's own image, for a CPU
# docker build --build-arg ROS_DISTRO=humble -t vision_banana .        another distribution
# docker build --target gpu --build-arg BASE=… -t vision_banana:gpu .  an image of NVIDIA's that has this ROS in /opt/ros
ARG ROS_DISTRO=jazzy
ARG BASE=ros:${ROS_DISTRO}-ros-base

FROM ${BASE} AS node
ARG ROS_DISTRO
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends \
        "ros-${ROS_DISTRO}-vision-msgs" "ros-${ROS_DISTRO}-bondpy" \
        python3-venv python3-numpy python3-opencv python3-scipy \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ws
COPY requirements /ws/requirements
RUN python3 -m venv --system-site-packages venv && venv/bin/pip install --no-cache-dir --no-deps -r requirements/robot.txt
COPY . /ws/src/vision_banana_ros
RUN ln -s vision_banana_ros/vision_banana_interfaces src/ \
    && source "/opt/ros/${ROS_DISTRO}/setup.bash" && colcon build --merge-install && rm -rf build log
# Code compiled for the processor, prompts and engines: give this folder a volume, or each start compiles anew.
ENV ROS_HOME=/ws/home NUMBA_CACHE_DIR=/ws/home/numba XDG_CACHE_HOME=/ws/home/cache
RUN useradd --uid 10001 --create-home robot && mkdir -p "${ROS_HOME}" && chown robot "${ROS_HOME}"
USER 10001
ENTRYPOINT ["/bin/bash", "-c", "source /ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "vision_banana_ros", "vision_banana.launch.py", "venv:=/ws/venv"]

FROM node AS gpu
USER 0
RUN venv/bin/pip install --no-cache-dir -r requirements/gpu.txt -c requirements/constraints.txt
USER 10001

FROM node AS foxglove
ARG ROS_DISTRO
USER 0
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends "ros-${ROS_DISTRO}-foxglove-bridge" \
    && rm -rf /var/lib/apt/lists/*
USER 10001
CMD ["ros2", "run", "foxglove_bridge", "foxglove_bridge"]

# The last stage is the one that is built where none is named.
FROM node AS cpu
