-- Lists of personas that read no others' than those they show.

-- The description of the newest version, as a search wants it.
alter table circles.persona add column words text not null default '';
update circles.persona p set words = lower(v.definition ->> 'description')
from circles.persona_version v
where v.persona_id = p.id and v.number = p.version and v.definition ->> 'description' is not null;
create index persona_words on circles.persona using gin (words trigram.gin_trgm_ops) where deleted_at is null;
create index persona_name_words on circles.persona using gin (name trigram.gin_trgm_ops) where deleted_at is null;
create index persona_public on circles.persona (name, id) where deleted_at is null and visibility = 'public';
drop index circles.persona_visible;
