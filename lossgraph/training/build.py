"""The pipeline of training graphs in one page.

======================== ==================================================== ==============    block, named = as_loss(loss), dict(rename or {})

    given = (graph, block, output, bind or {})

    @cache
    def made(optional: frozenset[tuple[str, TensorType]]) -> TrainingStep:
        types = {name: (type_.dtype, type_.shape) for name, type_ in sorted(optional, key=str)}
        names = {**named, **{name: name for name in types}}
        traced = objective(*given, names, {**(inputs or {}), **types})
        return replace(_step(graph, traced, selection, planned), tied=copies)

    def variant(arrays: Mapping[str, Any]) -> TrainingStep:
        sizes = bind_sizes([x for x in graph.inputs.values() if x.rank], arrays)
        asked = {name: arrays[name] for name in sorted(left & arrays.keys())}
        types = types_of_optional(*given, inputs or {}, asked, sizes)
        return made(frozenset(types.items()))

    left = optional_inputs(block, {*(bind or {}), *(inputs or {}), *named, *graph.values})
    plain = made(frozenset())
    gradients = GradientGraph(plain.gradients.model, left, lambda x: variant(x).gradients)
    return replace(plain, gradients=gradients, optional=left, variant=variant)


def _step(
    graph: Graph, traced: Traced, selection: Selection, planned: Callable[[Sequence[str]], Plan]
) -> TrainingStep:
    selection = with_derivatives(graph, traced.values[0], selection)
    plan = planned(selection.trainable)
    program = assemble(traced, grad=selection.trainable)
    scaled, scale = program, None
    if plan.scale is not None:
        scale = loss_scale_variable()
        seed = ops.cast(scale, traced.values[0].dtype)
        scaled = assemble(traced, grad=selection.trainable, cotangents=[seed])
    update = updates(scaled, plan, scale)
    tensors = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    parameters = {name: numpy_helper.to_array(tensors[name]) for name in selection.trainable}
    weights = [node for name, node in graph.weights.items() if name in parameters]
    batch = tuple(node.attrs["name"] for node in program.inputs
                  if node.attrs["name"] not in graph.weights)  # fmt: skip
    return TrainingStep(
        graph.model,
        GradientGraph(gradient_graph(program, graph, weights)),
        training_graph(scaled, update, graph, weights),
        evaluation_graph(program, graph, weights),
        parameters,
        update.start(parameters),
        update.hyper,
        batch,
        selection.left_out,
        plan.main,
        accumulation_graph(scaled, update, graph, weights) if update.sums else None,
        plan.accumulate,
    )
