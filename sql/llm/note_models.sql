-- Keeps the list of models that a provider told.
create or replace function llm.note_models(provider uuid, models text[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update llm.provider p set models = note_models.models where p.id = provider and p.models <> note_models.models
$$;
grant execute on function llm.note_models to gather_llm;
