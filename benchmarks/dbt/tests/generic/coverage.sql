{% test coverage(model, column_name, least) %}
SELECT covered
FROM (SELECT count({{ column_name }}) / count(*) AS covered FROM {{ model }}) AS counted
WHERE covered < {{ least }}
{% endtest %}
